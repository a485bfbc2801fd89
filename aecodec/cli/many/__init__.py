"""What the commands do with many files: plan, work, processes, report."""
