"""Commands about machines, jobs and speed."""
