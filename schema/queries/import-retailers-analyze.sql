ANALYZE retailers, retailer_phones, areas, routes
