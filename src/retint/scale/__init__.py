"""Photographs by the million: many processes, on many machines, and files at URLs."""
