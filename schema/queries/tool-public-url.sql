-- For the links of notifications that the tool makes; $1 is public_url.
SELECT set_config('ringback.public_url', $1, false)
