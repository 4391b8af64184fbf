-- name: document
select document from tradingtools.leader_documents final
where wallet = {wallet:String} and version = {version:String}
