ANALYZE products, product_substitutes
