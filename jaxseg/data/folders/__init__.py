"""Folders of images and masks: their layouts, their pairs, and what they hold."""
