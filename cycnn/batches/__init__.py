"""How data become batches: from what users pass to arrays that programs read.

`adapters`    from arrays, lists, dicts and arrays of other libraries to one array for each input or output
`feeding`     checks them against a model, or says what does not fit
`sources`     what hands out the batches of an epoch; arrays, cut into batches
`streams`     generators and data sets, which make batches of their own
`py_dataset`  data sets that make one batch at a time, several at once in threads
`rows`        rows of an array, in place or gathered; files that are larger than the memory
"""
