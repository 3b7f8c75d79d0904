"""What runs leave behind: `results/<run id>/` for people, `results/foreshock.db` for questions over many runs."""
