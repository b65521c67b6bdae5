-- Group.
request_rebuild(ARGV[1])
return 1
