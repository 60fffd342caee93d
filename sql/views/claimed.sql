-- The instances that have begun and not ended, of those that one may see. Workers' fences are not for users; this shows of
-- them which instances there are, and it is small: what has ended is not in it.
-- Locks: none. It reads with the rights of its owner, so it says itself whose rows it shows: one's own, or all where
-- the policies of df.instances do not bind (the owner, a superuser).
CREATE OR REPLACE VIEW df.claimed WITH (security_barrier = true) AS
SELECT f.instance_id
FROM df.fences f
WHERE f.submitted_by = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole)
   OR NOT (SELECT pg_catalog.row_security_active('df.instances'));
