"""What a network costs and where it ran: MACs, seconds, memory, environment, doctor."""
