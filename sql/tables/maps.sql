-- The maps of an instance, and their items: a million rows are a million narrow rows here, and never stand in
-- anybody's memory.
--
-- df.maps has one row a map: path is the map's own (`docs`; its record of how many items there are is
-- `docs/items`). columns and types are those of every item; both are empty where the items are JSON values.
-- items is null until the number is recorded. failed counts the items that failed, first_failed is the first of them;
-- all items up to ended_to have ended, so that whoever begins again does not read them again.
-- This is a part of migration 2, and stays as it was then: a change is a later migration.
CREATE TABLE df.maps (
    instance_id  text NOT NULL,
    path         text COLLATE "C" NOT NULL,
    map          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    columns      text[] NOT NULL,
    types        oid[] NOT NULL,
    batch_size   integer NOT NULL CHECK (batch_size > 0),
    items        bigint,
    failed       bigint NOT NULL DEFAULT 0,
    first_failed bigint,
    ended_to     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, path)
) WITH (fillfactor = 70);

-- An item is up to batch_size rows: cells are theirs, row by row, rows is their number. Or it is a JSON value.
-- Items are numbered from 1. The only index is on what never changes, and a page is filled to 60%, so that
-- an item's end is a heap-only update: the pages that are read next are those that were read before.
-- Locks: an item's end locks its row, after the fence; a failure also the row of its map.
CREATE TABLE df.map_items (
    map    bigint NOT NULL,
    item   bigint NOT NULL CHECK (item > 0),
    rows   integer NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'failed')),
    cells  text[],
    value  json,
    result json,
    error  json,
    PRIMARY KEY (map, item),
    CONSTRAINT map_items_value CHECK ((cells IS NULL) <> (value IS NULL)),
    CONSTRAINT map_items_outcome CHECK ((status = 'completed') = (result IS NOT NULL)
                                    AND (status = 'failed') = (error IS NOT NULL))
) WITH (fillfactor = 60);

ALTER TABLE df.maps ENABLE ROW LEVEL SECURITY;
CREATE POLICY maps_read ON df.maps FOR SELECT
    USING (EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id));
ALTER TABLE df.map_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY map_items_read ON df.map_items FOR SELECT
    USING (EXISTS (SELECT FROM df.maps m WHERE m.map = map_items.map));
