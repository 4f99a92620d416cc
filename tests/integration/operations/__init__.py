"""What an operator fears: crowds, killed workers, a database that is away, keys that rotate, roles that may too much."""
