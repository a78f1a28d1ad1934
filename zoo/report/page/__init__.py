"""The page: one HTML file that shows models, training, tables and claims in a browser, without a server."""
