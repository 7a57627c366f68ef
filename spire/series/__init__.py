"""History and resume on top of segments, and the responders that several rooms share."""
