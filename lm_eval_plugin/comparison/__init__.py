"""Runs beside each other and beside people."""
