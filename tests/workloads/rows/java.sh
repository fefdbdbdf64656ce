#: expect
sum 499500
child says hello
served /path
#: setup
cat >App.java <<'X'
import java.net.*;
import java.net.http.*;
import java.nio.file.*;
import java.util.concurrent.*;
import java.util.stream.*;
import com.sun.net.httpserver.*;

public class App {
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        System.out.println("sum " + pool.submit(() -> IntStream.range(0, 1000).parallel().sum()).get());
        pool.shutdown();
        Process child = new ProcessBuilder("sh", "-c", "echo child says hello").redirectErrorStream(true).start();
        System.out.print(new String(child.getInputStream().readAllBytes()));
        System.out.println("ended " + child.waitFor());
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            byte[] body = ("served " + exchange.getRequestURI()).getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/path");
        System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString()).body());
        server.stop(0);
        try (WatchService watch = FileSystems.getDefault().newWatchService()) {
            Path.of("watched").toFile().mkdir();
            Path.of("watched").register(watch, StandardWatchEventKinds.ENTRY_CREATE);
            Files.writeString(Path.of("watched/new"), "x");
            System.out.println("created " + watch.poll(10, TimeUnit.SECONDS).pollEvents().get(0).context());
        }
        System.out.println(Runtime.getRuntime().availableProcessors() + " processors");
        System.out.println(System.getProperty("user.home") + " " + System.getProperty("user.name"));
        System.exit(0);
    }
}
X
#: run
javac -d classes App.java
jar --create --file app.jar --main-class App -C classes .
java -jar app.jar
