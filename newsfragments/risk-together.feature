Orders that close the positions of a disabled account are sent together: a slow answer or a fault at one delays no other.
