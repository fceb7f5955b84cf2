# region
