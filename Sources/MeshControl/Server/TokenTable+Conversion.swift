import MeshAPI
import MeshCore
import MeshResources
import SwiftProtobuf

extension TokenTable.Effective {
  /// Which tokens requests to the port may or must have, for `apus why`.
  func added(to others: Apus_V1_PolicyInForce?, of port: ServicePort) -> Apus_V1_PolicyInForce {
    var message = others ?? .with { $0.service = port.description }
    for source in sources {
      message.entries.append(
        .with {
          $0.field = "tokens"
          $0.value = text
          $0.policy = source.value.key.description
          $0.level = level.rawValue
          $0.file = source.position.file
          $0.line = UInt32(clamping: source.position.line)
        })
    }
    return message
  }
}
