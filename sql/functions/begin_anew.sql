-- Lengths of time of one instance that began later than now (the clock has been set back) begin now: so none takes longer
-- than itself from here on, and looking again does not make it longer. Moments that were given stay what they are.
-- Locks: the rows, under the instance's fence. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._begin_anew(instance text, moment timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE df.marks k SET due_at = moment + (k.due_at - k.made_at), made_at = moment
    WHERE k.instance_id = instance AND k.due_at IS NOT NULL AND NOT k.fixed AND k.made_at > moment;
    UPDATE df.attempts_made a SET next_attempt_at = moment + (a.next_attempt_at - a.made_at), made_at = moment
    WHERE a.instance_id = instance AND a.made_at > moment;
END $$;
