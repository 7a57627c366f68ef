A runtime floor gives every part of the platform its clock, background tasks, metrics and log fields.
