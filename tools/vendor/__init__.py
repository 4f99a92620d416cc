"""The packages of others that the console's page is made with."""
