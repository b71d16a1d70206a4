# Read by `flask …` in this folder, so that it finds the application.
FLASK_APP=webapp.command_line
