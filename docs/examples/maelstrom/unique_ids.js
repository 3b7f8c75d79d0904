// Unique ids in JavaScript, right: the node's name and a count. With "wrong" as argument, the count alone.
const wrong = process.argv[2] === "wrong";
let nodeId = "", count = 0;

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { src, body } = JSON.parse(line);
  if (body.type === "init") nodeId = body.node_id;
  const reply = { type: `${body.type}_ok`, in_reply_to: body.msg_id };
  if (body.type === "generate") reply.id = wrong ? ++count : `${nodeId}-${++count}`;
  console.log(JSON.stringify({ src: nodeId, dest: src, body: reply }));
});
