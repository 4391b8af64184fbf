"""The pages of the console: static files, served by services/console."""
