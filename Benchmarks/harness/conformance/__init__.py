"""What documents ask of a server, asked of several servers through sockets, side by side."""
