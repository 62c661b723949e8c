"""Replies of a torch model in this process: batches of rows that stop one by one."""
