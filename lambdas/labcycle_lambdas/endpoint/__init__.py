"""The door of a model on SageMaker: requests of its API go to its endpoint, and answers come back as the model server gave them."""
