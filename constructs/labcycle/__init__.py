"""labcycle: the whole life cycle of data science on AWS, as CDK constructs composed per team."""
