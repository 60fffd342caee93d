-- Placeholder until the migration of this number is there: a mark that keeps the child of a call.
ALTER TABLE df.marks
    DROP CONSTRAINT marks_kind_check,
    DROP CONSTRAINT marks_parts,
    ADD CONSTRAINT marks_kind_check CHECK (kind IN ('decided', 'timer', 'position', 'child')),
    ADD CONSTRAINT marks_parts CHECK (CASE kind
        WHEN 'decided' THEN value IS NOT NULL AND due_at IS NULL AND error IS NULL
        WHEN 'timer' THEN value IS NULL AND due_at IS NOT NULL AND error IS NULL
        ELSE value IS NOT NULL END);
