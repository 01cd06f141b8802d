import MeshCore
import MeshPolicy
import MeshRuntime

extension AdminPages {
  /// Who has called without a certificate of the mesh, since when and how often; ordered by port and address.
  func plaintextCallers(_ reply: @escaping (AdminReply) -> Void) {
    let (workload, started, callers) = (control.workload, control.startTime, control.callers)
    control.collect { worker in
      (rows: Array(worker.plaintext.rows.values), forgotten: worker.plaintext.forgotten)
    } then: { workers in
      var rows: [PlaintextLedger.Key: PlaintextLedger.Row] = [:]
      for row in workers.flatMap(\.rows) {
        if rows[row.key]?.add(row) == nil { rows[row.key] = row }
      }
      let ordered = rows.values.sorted {
        ($0.key.port, $0.key.caller.description) < ($1.key.port, $1.key.caller.description)
      }
      var json = JSONWriter()
      json.object {
        $0.field("started_ms", started)
        $0.field("forgotten", Int64(clamping: workers.reduce(UInt64(0)) { $0 &+ $1.forgotten }))
        $0.array("ports", workload?.ports ?? []) { json, port in
          json.object {
            $0.field("port", Int64(port.port))
            $0.field("mode", port.meshTLS.rawValue)
          }
        }
        $0.array("callers", ordered) { Self.write($1, callers.found[$1.key] ?? [], to: &$0) }
      }
      reply(.json(json.text))
    }
  }

  private static func write(
    _ row: PlaintextLedger.Row, _ processes: [CallerProcesses.Caller], to json: inout JSONWriter
  ) {
    json.object {
      $0.field("address", row.key.caller.host)
      $0.field("port", Int64(row.key.port))
      $0.field("allowed", Int64(clamping: row.allowed))
      $0.field("refused", Int64(clamping: row.refused))
      $0.field("first_ms", row.first)
      $0.field("last_ms", row.last)
      $0.array("processes", processes) { json, process in
        json.object {
          $0.field("name", process.name)
          $0.field("pid", Int64(process.processID))
          $0.field("user", Int64(process.user))
          $0.field("ancestors", process.ancestors.map { "\($0)" }.joined(separator: " "))
        }
      }
    }
  }
}
