"""What providers' traffic costs, as data: each row is a call, byte for byte, and the records that it must leave."""
