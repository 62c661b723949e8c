"""What comes in from outside and what goes out: texts, JSON, logged fields, secrets, and what may reach a terminal or a page."""
