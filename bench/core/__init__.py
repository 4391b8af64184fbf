"""The arithmetic of measurements, pure: instants in, figures out."""
