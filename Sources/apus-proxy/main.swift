import Glibc
import MeshProxy

let token = getenv("APUS_JOIN_TOKEN").map { String(cString: $0) } ?? ""
exit(Proxy.run(arguments: Array(CommandLine.arguments.dropFirst()), joinToken: token))
