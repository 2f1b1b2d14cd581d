-- Partial, so that a look by reference never takes it for the key: while complaints are few and not yet analyzed, an index that
-- begins with the branch looks as good, and sessions that planned so would read the whole branch for each.
DROP INDEX complaints_by_retailer;
CREATE INDEX complaints_by_retailer ON complaints (branch_id, retailer_id, raised_at) WHERE retailer_id IS NOT NULL;
