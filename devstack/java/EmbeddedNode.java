import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** Runs one Elasticsearch node until the process is told to end: {@code EmbeddedNode <home> <http port> <transport port>}. */
public final class EmbeddedNode {
    private static final long CLOSE_SECONDS = 15;

    private EmbeddedNode() {}

    public static void main(String[] args) throws Exception {
        if (args.length != 3) {
            System.err.println("usage: EmbeddedNode <home> <http port> <transport port>");
            System.exit(2);
        }
        Path home = Path.of(args[0]).toAbsolutePath();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            settings(home, args[1], args[2]), Map.of(), home.resolve("config"), () -> "embedded");
        LogConfigurator.configureESLogging();
        var modules = PluginsLoader.loadModulesBundles(environment.modulesDir(), false);
        Node node = new Node(environment, PluginsLoader.createPluginsLoader(modules, Set.of(), Map.of(), false));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node), "close-node"));
        try {
            node.start();
        } catch (Exception e) {
            // Threads of a half started node would keep the process alive.
            e.printStackTrace();
            System.exit(1);
        }
        System.out.println("node started on port " + args[1]);
        Thread.currentThread().join();
    }

    private static Settings settings(Path home, String httpPort, String transportPort) {
        return Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", "querymirror")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", httpPort)
            .put("transport.port", transportPort)
            // A full disk of a developer's machine must not make indices read-only.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
    }

    private static void close(Node node) {
        try {
            node.close();
            node.awaitClose(CLOSE_SECONDS, TimeUnit.SECONDS);
        } catch (Exception e) {
            e.printStackTrace();
        }
    }
}
