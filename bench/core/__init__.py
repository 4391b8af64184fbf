"""What the numbers mean, pure: instants in, figures out."""
