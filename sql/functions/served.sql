-- Who is served: a worker runs the workflows of the roles that it can log in as, and of no other.
-- SECURITY DEFINER, all of them: users may not read df.workers. Locks: none.

-- Whether a live worker serves this role; null where no worker is alive.
CREATE OR REPLACE FUNCTION df._is_served(role name) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT bool_or(w.roles IS NULL OR role = ANY (w.roles)) FROM df.workers w
    WHERE df._within_lease(w.heartbeat_at, w.lease_seconds)
$$;

-- Whether a live worker serves this role in this queue; null where no worker is alive.
CREATE OR REPLACE FUNCTION df._is_served(role name, queue text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT bool_or((w.roles IS NULL OR $1 = ANY (w.roles)) AND (w.queues IS NULL OR $2 = ANY (w.queues))) FROM df.workers w
    WHERE df._within_lease(w.heartbeat_at, w.lease_seconds)
$$;

-- What to do where nobody serves this role.
CREATE OR REPLACE FUNCTION df._way_to_be_served(role name) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('Start a worker that logs in as %I: dfc worker --database ...', role)
           || CASE WHEN pg_has_role(role, o.owner, 'USAGE') THEN ''
                   ELSE format(' (as a member of the role that owns the schema df: GRANT %I TO %I, if it may have the rights of that)',
                               o.owner, role) END
           || '. Or SET ROLE in front of df.start, to a role that is served: '
           || (SELECT string_agg(DISTINCT quote_ident(r), ', ') FROM df.workers w, unnest(w.roles) AS r
               WHERE df._within_lease(w.heartbeat_at, w.lease_seconds)) || '.'
    FROM (SELECT pg_get_userbyid(c.relowner) AS owner FROM pg_class c WHERE c.oid = 'df.instances'::regclass) AS o
$$;

-- The roles whose instances wait although a worker is alive, because none serves them: how many, the oldest, the
-- way out. Of instances that have begun, those whose worker has gone count. The session's user learns of its own
-- roles, a member of the schema's owner of all.
CREATE OR REPLACE FUNCTION df._unserved() RETURNS TABLE (role name, waiting bigint, oldest text, hint text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.rolname, count(*), min(u.id), df._way_to_be_served(r.rolname)
    FROM (SELECT i.submitted_by::oid AS submitter, i.id FROM df.instances i WHERE i.started_at IS NULL AND i.ready
          UNION ALL
          SELECT f.submitted_by::oid, f.instance_id FROM df.fences f
          WHERE coalesce(f.wake_at <= clock_timestamp(), true) AND NOT EXISTS (
              SELECT FROM df.workers w WHERE w.id = f.worker
                AND df._within_lease(w.heartbeat_at, w.lease_seconds))) AS u
    JOIN pg_roles r ON r.oid = u.submitter
    JOIN pg_class c ON c.oid = 'df.instances'::regclass
    WHERE pg_has_role(session_user, r.oid, 'USAGE') OR pg_has_role(session_user, c.relowner, 'USAGE')
    GROUP BY r.rolname
    HAVING df._is_served(r.rolname) IS FALSE
    ORDER BY r.rolname
$$;

-- The formats of plans that no live worker reads, of what has not ended: how many, the oldest. Nothing where no worker is
-- alive. Of instances whose rows the session's user may see.
CREATE OR REPLACE FUNCTION df._unreadable() RETURNS TABLE (format integer, waiting bigint, oldest text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT g.format, g.waiting, g.oldest
    FROM (SELECT (i.plan ->> 'format')::integer AS format, count(*) AS waiting, min(i.id) AS oldest
          FROM df.instances i JOIN pg_class c ON c.oid = 'df.instances'::regclass
          WHERE i.completed_at IS NULL AND i.plan IS NOT NULL
            AND (pg_has_role(session_user, i.submitted_by::oid, 'USAGE') OR pg_has_role(session_user, c.relowner, 'USAGE'))
          GROUP BY 1) AS g
    WHERE EXISTS (SELECT FROM df.workers w WHERE df._within_lease(w.heartbeat_at, w.lease_seconds))
      AND NOT EXISTS (SELECT FROM df.workers w
                      WHERE df._within_lease(w.heartbeat_at, w.lease_seconds) AND g.format = ANY (w.plan_formats))
    ORDER BY g.format
$$;
