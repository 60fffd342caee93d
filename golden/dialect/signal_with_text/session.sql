SELECT df.signal(:'id', 'note', 'plain words, it''s "quoted"');
