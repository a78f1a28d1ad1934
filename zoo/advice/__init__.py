"""Which method and width to use for some data: candidates, fitted within a time and judged on held-out samples."""
