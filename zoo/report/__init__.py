"""Tables, pages and figures, made from records alone."""
