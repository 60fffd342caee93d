SELECT df.setvar('when_started', 'now');
SELECT df.getvar('when_started');
SELECT df.unsetvar('when_started');
SELECT df.getvar('when_started');
SELECT df.signal(:'id', 'go');
