SELECT status, media, etag, location, body, code, detail FROM desk($1, $2, $3, $4::text::jsonb)
