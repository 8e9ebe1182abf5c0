"""What each page shows, collected from an index as plain values: the templates compute nothing."""
