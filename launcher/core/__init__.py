"""What the launcher decides, pure: what runs, with which settings, and whether it went well."""
