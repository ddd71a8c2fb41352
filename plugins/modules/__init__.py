"""Ansible plugins."""
