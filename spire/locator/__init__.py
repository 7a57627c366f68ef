"""The Service Locator: accounts, directory, rights, login and service discovery."""
