"""The HTTP service: one opened model behind a bounded queue, and jobs that survive a restart."""
