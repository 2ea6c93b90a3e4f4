# Copies the engine and its models into the build tree: cmake -D ENGINE=... -D MODELS=... -D DESTINATION=... -P
# What a build copied before goes first, so that a file removed from the source is gone here too; compiled Python is
# left out, for the build tree is packaged whole.
file(REMOVE_RECURSE ${DESTINATION})
file(COPY ${ENGINE}/ DESTINATION ${DESTINATION} PATTERN "__pycache__" EXCLUDE)
file(COPY ${MODELS}/ DESTINATION ${DESTINATION}/shipped_models)
