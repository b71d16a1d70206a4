"""What happens outside requests: thin RQ jobs, one file each, the worker that runs them, the table of periodic ones."""
